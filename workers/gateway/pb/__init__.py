"""Made out of proto/ by `make protos`: change it there."""
