"""What becomes of a failure: the verdict, the retry, the dead letter, the stopped line."""
