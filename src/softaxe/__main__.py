"""`python -m softaxe` is the `softaxe` command."""

from softaxe.cli import main

main()
