"""Begins a thread when it is imported, as some libraries do: a fork would not have it."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
