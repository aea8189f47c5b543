"""What a picture says about how it was made, in PNG, JPEG and WebP.

Three texts travel with every picture:

* the full Resolved recipe as JSON, for Sfumato itself;
* the A1111 `parameters` text, for other programs;
* an XMP packet with the IPTC digital source type, which says that the picture was generated
  (IPTC Photo Metadata Standard 2024.1, NewsCodes "Digital Source Type"), and with the property
  `sfumato:backend`, which says what ran the networks.

| format | Resolved | parameters | XMP |
|---|---|---|---|
| PNG | iTXt `sfumato` | iTXt `parameters` | iTXt `XML:com.adobe.xmp` |
| JPEG | XMP property `sfumato:resolved` | EXIF UserComment, UTF-16 | APP1, extended when over 64 kB |
| WebP | XMP property `sfumato:resolved` | EXIF UserComment, UTF-16 | chunk `XMP ` |

A JPEG segment holds 64 kB at most. Longer JSON goes to extended XMP (XMP Specification Part 3, section
1.1.3.1), and parameters too long for EXIF to the XMP property `sfumato:parameters`. Nothing read back is
trusted: sizes are bounded, XML with a document type is refused, and JSON must be an object.
"""

import hashlib
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import PictureError
from sfumato.imaging.decode import opened

TRAINED: Final = "trainedAlgorithmicMedia"
COMPOSITE: Final = "compositeWithTrainedAlgorithmicMedia"  # a person's photo, partly generated

MAX_TEXT_BYTES: Final = 32_000_000  # of one text: a prompt of 2 million four-byte characters, with room

_PNG_RESOLVED = "sfumato"
_PNG_PARAMETERS = "parameters"
_PNG_XMP = "XML:com.adobe.xmp"
_IPTC_CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_NS = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "sfumato": "urn:sfumato:picture:1.0/",
}
_SEGMENT_BYTES = 65_000  # below the 65,533 of a JPEG segment, with room for the headers
_EXTENSION_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
_UNICODE_HEADER = b"UNICODE\0"  # EXIF 2.32, UserComment: eight bytes that name the character code
_ASCII, _LONG, _UNDEFINED = 2, 4, 7  # TIFF field types
# Python's own functions for this bring along its HTTP client. XML readers turn a bare carriage return into a
# newline, and in attributes every white space into a blank.
_XML_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_XML_ATTRIBUTE: Final = {**_XML_TEXT, **str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


@dataclass(frozen=True)
class PictureMetadata:
    """What is written into a picture.

    `resolved_json` is the Resolved recipe (a JSON object) and `parameters` the A1111 text, each "" where
    there is none; `software` name and version of the program; `digital_source_type` the last part of an IPTC
    Digital Source Type URI; `backend` the name of what ran the networks ("openvino cpu bfloat16"), "" in
    pictures that do not say it.
    """

    resolved_json: str
    parameters: str
    software: str
    digital_source_type: str = TRAINED
    backend: str = ""
    morph_json: str = ""


def png_info(metadata: PictureMetadata) -> PngInfo:
    """Return the text chunks of a PNG."""
    info = PngInfo()
    # iTXt even for Latin text: it is the one text chunk that is defined to be UTF-8.
    if metadata.resolved_json:
        info.add_itxt(_PNG_RESOLVED, _encodable_json(metadata.resolved_json))
    if metadata.parameters:
        info.add_itxt(_PNG_PARAMETERS, _legal(metadata.parameters))
    info.add_itxt(_PNG_XMP, _packet(metadata, {}))
    return info


def _resolved_property(metadata: PictureMetadata) -> dict[str, str]:
    return {"resolved": _encodable_json(metadata.resolved_json)} if metadata.resolved_json else {}


def webp_options(metadata: PictureMetadata) -> dict[str, bytes]:
    """Return the arguments `exif` and `xmp` of Pillow's WebP writer."""
    properties = _resolved_property(metadata)
    if metadata.morph_json:
        properties["morph"] = _encodable_json(metadata.morph_json)
    return {
        "exif": _exif(metadata.software, _legal(metadata.parameters)),
        "xmp": _packet(metadata, properties).encode(),
    }


def jpeg_options(metadata: PictureMetadata) -> dict[str, bytes]:
    """Return the arguments `exif`, `xmp` and `extra` of Pillow's JPEG writer, each segment below 64 kB."""
    properties = _resolved_property(metadata)
    parameters = _legal(metadata.parameters)
    exif = _exif(metadata.software, parameters)
    if len(exif) > _SEGMENT_BYTES:
        exif = _exif(metadata.software, "")
        properties["parameters"] = parameters
    packet = _packet(metadata, properties).encode()
    if len(packet) <= _SEGMENT_BYTES:
        return {"exif": exif, "xmp": packet}
    extension = _xmpmeta(_description(properties, {})).encode()
    # The specification asks for an MD5 digest as the name that ties the parts together; it protects nothing.
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    main = _packet(metadata, {}, {"xmpNote:HasExtendedXMP": guid}).encode()
    return {"exif": exif, "xmp": main, "extra": _extension_segments(extension, guid)}


def read_metadata(path: Path) -> PictureMetadata:
    """Return what Sfumato wrote into the picture at `path`.

    Raises PictureError when the file is not a readable picture, holds no Sfumato recipe, or a damaged one.
    Whether the recipe itself is sound is for `recipe.codec` to say.
    """
    texts = _read_texts(path)
    if not texts.resolved_json:
        raise PictureError(
            "no Sfumato recipe in this picture",
            field="picture",
            value=str(path),
            hint="It was drawn by another program, or a program that saved it again dropped the metadata.",
        )
    try:
        document: object = json.loads(texts.resolved_json)
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(document, dict):
        raise _damaged(path)
    return texts


def has_settings(path: Path) -> bool:
    """Tell whether the picture at `path` says how it was drawn, in whatever way. Raises PictureError when the
    file is not a readable picture.
    """
    texts = _read_texts(path)
    return bool(texts.resolved_json or texts.parameters)


def read_parameters(path: Path) -> str:
    """Return the A1111 `parameters` text of a picture by any program, "" when it has none.

    Raises PictureError when the file is not a readable picture.
    """
    return _read_texts(path).parameters


def _read_texts(path: Path) -> PictureMetadata:
    with opened(path) as image:
        try:
            return _texts(image)
        except PictureError:
            raise
        # The file may be hostile, and Pillow's EXIF reader and expat have many ways to say no.
        except Exception as error:
            raise _damaged(path) from error


def _texts(image: Image.Image) -> PictureMetadata:
    resolved, parameters = _png_text(image, _PNG_RESOLVED), _png_text(image, _PNG_PARAMETERS)
    values: dict[str, str] = {}
    for packet in _xmp_packets(image):
        values.update(_xmp_values(packet))
    if not parameters:
        parameters = _user_comment(image) or values.get("sfumato:parameters", "")
    return PictureMetadata(
        resolved_json=resolved or values.get("sfumato:resolved", ""),
        parameters=parameters,
        software=values.get("xmp:CreatorTool", ""),
        digital_source_type=values.get("Iptc4xmpExt:DigitalSourceType", "").removeprefix(_IPTC_CODES),
        backend=values.get("sfumato:backend", ""),
        morph_json=values.get("sfumato:morph", ""),
    )


def _png_text(image: Image.Image, key: str) -> str:
    value: object = image.info.get(key)
    return value if isinstance(value, str) and len(value) <= MAX_TEXT_BYTES else ""


def _user_comment(image: Image.Image) -> str:
    comment: object = image.getexif().get_ifd(IFD.Exif).get(Base.UserComment)
    if not isinstance(comment, bytes) or not comment.startswith(_UNICODE_HEADER):
        return ""
    # EXIF leaves the byte order open; every program of this field writes big endian.
    return comment.removeprefix(_UNICODE_HEADER).decode("utf-16-be", "replace")


def _xmp_packets(image: Image.Image) -> list[bytes]:
    main: object = image.info.get("xmp", image.info.get(_PNG_XMP))
    packets = [main.encode() if isinstance(main, str) else main] if isinstance(main, (bytes, str)) else []
    if packets and isinstance(image, JpegImageFile):
        extension = _joined_extension(image, _xmp_values(packets[0]).get("xmpNote:HasExtendedXMP", ""))
        packets += [extension] if extension else []
    return [packet for packet in packets if len(packet) <= MAX_TEXT_BYTES]


def _joined_extension(image: JpegImageFile, guid: str) -> bytes:
    head = _EXTENSION_HEADER + guid.encode("ascii", "replace")
    parts: dict[int, bytes] = {}
    total = 0
    for name, data in image.applist:
        if guid and name == "APP1" and data.startswith(head):
            total, offset = struct.unpack_from(">II", data, len(head))
            parts[offset] = data[len(head) + 8 :]
    joined = b"".join(parts[offset] for offset in sorted(parts))
    if len(joined) != total:
        raise ValueError("a part of the extended XMP is missing")
    return joined


def _xmp_values(packet: bytes) -> dict[str, str]:
    """Return `prefix:name` -> text of every simple property, written as an attribute or as an element."""
    text = packet[: MAX_TEXT_BYTES + 1].decode("utf-8")
    if len(packet) > MAX_TEXT_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("XMP too long, or with a document type, whose entities could expand without bound")
    from xml.etree import ElementTree  # what writes pictures does without

    names = {f"{{{uri}}}": f"{prefix}:" for prefix, uri in _NS.items()}
    values: dict[str, str] = {}
    root = ElementTree.fromstring(text.strip("\0 \r\n\t"))
    for description in root.iter(f"{{{_NS['rdf']}}}Description"):
        pairs = [*description.items(), *((child.tag, child.text) for child in description)]
        for tag, text in pairs:
            uri, brace, name = tag.rpartition("}")
            if brace and uri + brace in names and text is not None:
                values[names[uri + brace] + name] = text
    return values


def _exif(software: str, parameters: str) -> bytes:
    """Return the EXIF block: Software, and UserComment when there are parameters (EXIF 2.32, section 4.6).

    Written by hand because Pillow gives UserComment the type BYTE, which A1111's reader does not accept.
    """
    name = software.encode("ascii", "replace") + b"\0"
    entries = [(Base.ExifVersion, _UNDEFINED, b"0232")]
    if parameters:
        entries.append((Base.UserComment, _UNDEFINED, _UNICODE_HEADER + parameters.encode("utf-16-be")))
    offset = 8 + len(_directory([(Base.Software, _ASCII, name), (IFD.Exif, _LONG, bytes(4))], 8))
    first = _directory([(Base.Software, _ASCII, name), (IFD.Exif, _LONG, struct.pack(">I", offset))], 8)
    return b"Exif\0\0" + struct.pack(">2sHI", b"MM", 42, 8) + first + _directory(entries, offset)


def _directory(entries: Sequence[tuple[int, int, bytes]], offset: int) -> bytes:
    """Return a TIFF 6.0 image file directory that will stand at `offset`, with its values behind it."""
    rows, values = struct.pack(">H", len(entries)), b""
    end = offset + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        count = len(value) // 4 if kind == _LONG else len(value)
        inline = len(value) <= 4
        place = value.ljust(4, b"\0") if inline else struct.pack(">I", end + len(values))
        rows += struct.pack(">HHI", tag, kind, count) + place
        values += b"" if inline else value + bytes(len(value) % 2)  # values start at even offsets
    return rows + bytes(4) + values


def _packet(
    metadata: PictureMetadata, properties: dict[str, str], notes: dict[str, str] | None = None
) -> str:
    attributes = {
        "xmp:CreatorTool": _legal(metadata.software),
        "Iptc4xmpExt:AISystemUsed": _legal(metadata.software),
        "Iptc4xmpExt:DigitalSourceType": _IPTC_CODES + metadata.digital_source_type,
        **({"sfumato:backend": _legal(metadata.backend)} if metadata.backend else {}),
        **({} if notes is None else notes),
    }
    body = _xmpmeta(_description(properties, attributes))
    # The identifier is a constant of the XMP specification; "r" says: no room for edits in place.
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="r"?>'


def _xmpmeta(description: str) -> str:
    rdf = f'<rdf:RDF xmlns:rdf="{_NS["rdf"]}">{description}</rdf:RDF>'
    return f'<x:xmpmeta xmlns:x="{_NS["x"]}">{rdf}</x:xmpmeta>'


def _description(properties: dict[str, str], attributes: dict[str, str]) -> str:
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NS.items() if prefix not in ("x", "rdf"))
    written = " ".join(f'{name}="{value.translate(_XML_ATTRIBUTE)}"' for name, value in attributes.items())
    children = "".join(
        f"<sfumato:{name}>{value.translate(_XML_TEXT)}</sfumato:{name}>" for name, value in properties.items()
    )
    return f'<rdf:Description rdf:about="" {spaces} {written}>{children}</rdf:Description>'


def _extension_segments(extension: bytes, guid: str) -> bytes:
    head = _EXTENSION_HEADER + guid.encode()
    segments: list[bytes] = []
    for offset in range(0, len(extension), _SEGMENT_BYTES):
        body = head + struct.pack(">II", len(extension), offset) + extension[offset : offset + _SEGMENT_BYTES]
        segments.append(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
    return b"".join(segments)


def _encodable_json(text: str) -> str:
    # These can only stand inside JSON strings, where the escape means the same character.
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _legal(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _damaged(path: Path) -> PictureError:
    return PictureError(
        "the metadata of this picture is damaged",
        field="picture",
        value=str(path),
        hint="Use the file that Sfumato wrote, not a copy changed by another program.",
    )
