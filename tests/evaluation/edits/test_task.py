from sfumato.evaluation.edits.table import TASKS


def test_every_row_asks_for_values_by_names_that_differ() -> None:
    for task in TASKS.values():
        shown = [(row.group, row.what) for row in task.rows]
        assert len(set(shown)) == len(shown)
        assert all(row.beside_what for row in task.rows if row.beside is not None)
        assert not any(row.ratio for row in task.rows if row.beside is None)
        assert task.scenes >= 30
