#!/bin/sh
# Runs a command that gets SIGTERM when its parent has ended, however that ended. npm passes signals on, but nothing after SIGKILL.
if command -v setpriv >/dev/null 2>&1 && setpriv --pdeathsig TERM true 2>/dev/null; then
  exec setpriv --pdeathsig TERM "$@"
fi
exec "$@"
