"""`python -m softaxe` is the `softaxe` command."""

from softaxe.cli.app import main

main()
