"""The operations by name, in the order in which they run."""

OPERATIONS: tuple[str, ...] = (
    "write_empty",
    "write_byte",
    "write_large",
    "read_whole",
    "read_range",
    "list_pages",
    "copy",
    "awkward_keys",
    "presign",
    "delete_many",
)
