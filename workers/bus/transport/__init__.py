"""What lies between us and the server: connections, requests, stored messages, publishing, one delivery."""
