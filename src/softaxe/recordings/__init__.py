"""Other people's devices: record, replay, clone, check."""
