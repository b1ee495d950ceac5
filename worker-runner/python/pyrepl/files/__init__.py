"""The files of a session's workspace, in a process that the keeper forks for each call; it never runs user code."""
