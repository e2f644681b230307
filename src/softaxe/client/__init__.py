"""A client of the AxeOS API, for programs and for softaxe's own commands."""
