"""Loads a handler's script, looks at its functions and tells its errors."""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
import types

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Refused(Exception):
    """The script cannot be used as it is. `needs` names a package that would help."""

    def __init__(self, message, needs=None):
        super().__init__(message)
        self.needs = needs


def load_script(path):
    """Runs the script as a module that pickles and dataclasses find by its name."""
    sys.path[0] = os.path.dirname(path)  # was our own folder
    name = os.path.splitext(os.path.basename(path))[0]
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if name in sys.modules or found is None or found.origin != path:
        name = "bessemer_handler"
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def functions_in(module):
    return [name for name, value in vars(module).items() if inspect.isfunction(value)]


def positional(function):
    """The parameters that arguments without a name go to."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in signature(function).parameters.values() if p.kind in kinds]


def takes_any_number(function):
    parameters = signature(function).parameters.values()
    return any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def signature(function):
    try:
        return inspect.signature(function)
    except NameError:  # Python 3.14 resolves annotations here; one may name a type-checking import
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)


def imported(name):
    """The package, or None where it is not installed. A broken installation raises."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def describe(error, script):
    """What Bessemer shows of an exception: one line, the script's line, the traceback."""
    if isinstance(error, Refused):
        return {"error": str(error), "needs": error.needs, "refused": True}
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        text = "(the exception cannot be shown)"
    name = type(error).__name__
    steps = error.__traceback__
    while steps is not None and os.path.dirname(steps.tb_frame.f_code.co_filename) == FOLDER:
        steps = steps.tb_next
    lines = [step.lineno for step in traceback.extract_tb(steps) if step.filename == script]
    if isinstance(error, SyntaxError) and error.filename == script:
        lines.append(error.lineno)
    whole = "".join(traceback.format_exception(type(error), error, steps))
    return {
        "error": " ".join(("%s: %s" % (name, text) if text else name).split())[:500],
        "line": lines[-1] if lines else None,
        "transient": isinstance(error, MemoryError),
        "traceback": whole[-16384:],
    }
