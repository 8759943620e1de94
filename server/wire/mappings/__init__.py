"""The observation mappings that come with the project, one JSON file each; `wire.mapping` says what is in them."""
