"""The bundled model's world: captioned scenes drawn from emoji glyphs. Pixels and words only, no weights."""
