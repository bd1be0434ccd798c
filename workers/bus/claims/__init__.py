"""One owner at a time for work that must not happen twice, its result remembered, and rates shared by replicas."""
