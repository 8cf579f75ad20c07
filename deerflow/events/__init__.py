"""Redis: what runs say, and how readers are woken; the only importer of redis."""
