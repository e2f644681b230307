"""The Bitaxe: components wired into one object without I/O."""
