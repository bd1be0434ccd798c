"""The `sealane` command, one file per group of subcommands. Heavy imports happen inside the functions."""
