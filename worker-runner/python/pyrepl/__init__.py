"""The program inside a session's sandbox: keeper, live interpreter, snapshots and serializers."""
