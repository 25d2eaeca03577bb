"""Hosts one Bessemer handler: loads the script, then answers one call at a time.

Messages are frames on the pipes that this process was started with as stdin and stdout: a header
of three little-endian integers (kind, bytes of JSON, bytes of body), the JSON, the body. The first
frame that arrives holds the settings. Before the script is loaded, stdin becomes /dev/null and
stdout becomes stderr, so that whatever a handler prints stays out of the frames.

These files run on Python 3.8 and later with the standard library alone; pyarrow, pandas and numpy
are used where the handler takes or returns their types.
"""

import faulthandler
import io
import json
import os
import signal
import struct
import sys

HEADER = struct.Struct("<IIQ")
# The kinds of the frames that we send; messages.rs has the same numbers.
READY, FAILED, ARROW, JSON_LINES, PAYLOAD = 3, 4, 5, 6, 7


class Channel:
    """The two pipes to Bessemer, moved to file descriptors that no program we start inherits."""

    def __init__(self):
        self.owner = os.getpid()
        self.reader = io.FileIO(os.dup(0), "r")
        self.writer = io.FileIO(os.dup(1), "w")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)

    def receive(self):
        """The next frame's JSON and body, or None when Bessemer closed the pipe."""
        header = self.read(HEADER.size)
        if header is None:
            return None
        _, meta_size, body_size = HEADER.unpack(header)
        meta, body = self.read(meta_size), self.read(body_size)
        if meta is None or body is None:
            return None
        return json.loads(bytes(meta)), body

    def read(self, size):
        buffer = bytearray(size)
        rest = memoryview(buffer)
        while rest:
            count = self.reader.readinto(rest)
            if not count:
                return None
            rest = rest[count:]
        return buffer

    def send(self, kind, meta, body=b""):
        if os.getpid() != self.owner:
            os._exit(1)  # a process that the handler forked came back here
        meta = json.dumps(meta).encode()
        body = memoryview(body)
        for part in (HEADER.pack(kind, len(meta), body.nbytes) + meta, body):
            rest = memoryview(part)
            while rest:
                rest = rest[self.writer.write(rest) :]


def load_handler(settings):
    # Imported here, so that a failure in them is told like one of the script.
    from bessemer_predict import PredictHandler
    from bessemer_sagemaker import STEPS, SageMakerHandler
    from bessemer_script import Refused, functions_in, load_script

    module = load_script(settings["script"])
    if any(hasattr(module, name) for name in STEPS):
        return SageMakerHandler(module, settings)
    if callable(getattr(module, "predict", None)):
        return PredictHandler(module, settings)
    if hasattr(module, "model_fn"):
        return SageMakerHandler(module, settings)
    found = ", ".join("`%s`" % name for name in functions_in(module)) or "none"
    raise Refused(
        "the script has no `predict(batch)` and none of SageMaker's `model_fn`, `input_fn`, "
        "`predict_fn`, `output_fn`, `transform_fn` (functions found: %s)" % found
    )


def call(handler, rows, body):
    """The handler's answer as the parts of a frame. `rows` is None for a whole payload."""
    from bessemer_answers import encode

    if rows is None:
        return PAYLOAD, {}, handler.invoke(body)
    body, is_arrow = encode(handler.call(rows, body), rows, handler.arrow)
    return ARROW if is_arrow else JSON_LINES, {}, body


def failure(error, script):
    from bessemer_script import describe

    return FAILED, describe(error, script)


def resident_bytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def die_with(parent):
    """A call that never ends would outlive a killed Bessemer: the kernel ends it (Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (ImportError, OSError, AttributeError):
        pass
    if os.getppid() != parent:
        os._exit(1)


def main():
    channel = Channel()
    faulthandler.enable()
    settings, _ = channel.receive()
    die_with(settings["parent"])
    script = settings["script"]
    try:
        handler = load_handler(settings)
    except BaseException as error:
        channel.send(*failure(error, script))
        return
    about = {"takes": handler.takes, "wire": handler.wire, "resident": resident_bytes()}
    channel.send(READY, about)
    while True:
        message = channel.receive()
        if message is None:
            return
        meta, body = message
        try:
            answer = call(handler, meta["rows"], body)
        except BaseException as error:
            answer = failure(error, script)
        del message, body
        channel.send(*answer)


if __name__ == "__main__":
    main()
