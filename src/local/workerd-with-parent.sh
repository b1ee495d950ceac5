#!/bin/sh
# Starts workerd so that it ends when the program that started it does, even by SIGKILL, and so that Ctrl-C in a terminal does
# not reach it: the sessions are stored through it first. Without util-linux it starts as it is. The files that it makes are its
# user's alone.
umask 077
if command -v setpriv >/dev/null 2>&1 && command -v setsid >/dev/null 2>&1; then
  exec setsid setpriv --pdeathsig KILL "$PYREPL_WORKERD" "$@"
fi
exec "$PYREPL_WORKERD" "$@"
