"""THE DOOR: HTTP and later gRPC; the only way in for those who hold no bus identity."""
