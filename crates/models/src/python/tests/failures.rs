//! Handlers that raise, die, hang, print and lie.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallErrorKind, Copies, Limits, Model},
    records::Records,
};

use super::{Script, runs, sample_for, score, texts};
use crate::python::{HandlerLog, PythonError};

/// A handler that does `action` when a record's id is 1.
fn culprit(action: &str) -> Script {
    Script::bare(&format!(
        "import ctypes, os, signal, sys, time\ndef predict(batch: list):\n    for r in batch:\n        \
         if r['id'] == 1:\n            {action}\n    return [r['x'] for r in batch]\n"
    ))
}

/// The failure on record 1, after which records 0 and 2 must still be scored.
fn failure(script: &Script) -> (CallErrorKind, RejectClass, String) {
    let model = script.open();
    let all = sample_for(&model);
    let error = model.call(&all).unwrap_err();
    assert_eq!(texts(&model.call(&all.slice(0..1)).unwrap()), ["0.5"]);
    let alone = model.call(&all.slice(1..2)).unwrap_err();
    assert_eq!((alone.kind, alone.class), (error.kind, error.class));
    assert_eq!(texts(&model.call(&all.slice(2..3)).unwrap()), ["2.5"]);
    (error.kind, error.class, error.message)
}

#[test]
fn exceptions_name_themselves_and_their_line() {
    let (kind, class, message) = failure(&culprit("raise ValueError('bad\\n  id 1')"));
    assert_eq!((kind, class), (CallErrorKind::Records, RejectClass::Model));
    assert_eq!(message, "ValueError: bad id 1 (handler.py line 5)");
    let (_, _, message) = failure(&culprit("r['missing']"));
    assert_eq!(message, "KeyError: 'missing' (handler.py line 5)");
    let (_, _, message) = failure(&culprit("sys.exit(3)"));
    assert_eq!(message, "SystemExit: 3 (handler.py line 5)");
    let (_, _, message) = failure(&culprit("return ('a', 'b')"));
    assert!(message.starts_with("TypeError: predict returned a `tuple`; return one"), "{message}");
    let (kind, _, _) = failure(&culprit("raise MemoryError"));
    assert_eq!(kind, CallErrorKind::Transient);
}

#[test]
fn deaths_are_told_and_another_worker_goes_on() {
    let (kind, class, message) = failure(&culprit("print('so long', flush=True); os._exit(7)"));
    assert_eq!((kind, class), (CallErrorKind::Transient, RejectClass::WorkerDied));
    assert_eq!(message, "the handler's process ended with exit code 7; its last line: `so long`");
    let (_, class, message) = failure(&culprit("os.kill(os.getpid(), signal.SIGKILL)"));
    assert_eq!(class, RejectClass::WorkerDied);
    assert_eq!(message, "the handler's process was ended by SIGKILL, perhaps for want of memory");
    let (_, class, message) = failure(&culprit("ctypes.string_at(0)"));
    assert_eq!(class, RejectClass::WorkerDied);
    assert_eq!(message, "the handler's process was ended by SIGSEGV (handler.py line 5)");
}

#[test]
fn a_hanging_call_is_ended_with_all_that_it_started() {
    let action = "import subprocess; p = subprocess.Popen(['sleep', '600']); \
                  open(os.path.dirname(__file__) + '/pid', 'w').write(str(p.pid)); time.sleep(600)";
    let script = culprit(action).with(|options| options.timeout = Duration::from_millis(1500));
    let start = Instant::now();
    let (kind, class, message) = failure(&script);
    assert_eq!((kind, class), (CallErrorKind::Transient, RejectClass::Timeout));
    assert_eq!(message, "the handler did not answer within 1.5s");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(!runs(fs::read_to_string(script.path("pid")).unwrap().trim()));
}

#[test]
fn a_worker_that_reads_nothing_times_out_too() {
    let text = "import os, signal, threading\nstop = lambda: os.kill(os.getpid(), signal.SIGSTOP)\n\
                def predict(batch: list):\n    threading.Timer(0.2, stop).start()\n    \
                return [0] * len(batch)\n";
    let script = Script::bare(text).with(|options| options.timeout = Duration::from_secs(5));
    let model = script.open();
    let line = format!("\"{}\"", "x".repeat(1 << 20));
    let large = Records::Lines([line.as_str(); 8].into_iter().collect());
    assert_eq!(model.call(&large).unwrap().len(), 8);
    thread::sleep(Duration::from_millis(600));
    assert_eq!(model.call(&large).unwrap_err().class, RejectClass::Timeout);
    assert_eq!(model.call(&large).unwrap().len(), 8);
}

#[test]
fn wrong_counts_name_both() {
    for (bare, result, count) in [(true, "[1, 2]", 2), (true, "[]", 0), (false, "df['x'][:1]", 1)] {
        let batch = if bare { "batch: list" } else { "df" };
        let text = format!("def predict({batch}):\n    return {result}\n");
        let script = if bare { Script::bare(&text) } else { Script::new(&text) };
        let error = score(&script.open()).unwrap_err();
        assert_eq!((error.kind, error.class), (CallErrorKind::Records, RejectClass::WrongCount));
        assert_eq!(error.message, format!("the handler answered {count} records for 3"));
    }
}

#[test]
fn prints_go_to_the_log_and_never_block() {
    let text = "import os, sys, subprocess\nprint('loading')\ndef predict(batch: list):\n    \
                for i in range(20000):\n        print('out', i)\n        print('err', i, file=sys.stderr)\n    \
                os.write(1, b'raw\\n')\n    subprocess.run(['echo', 'child'])\n    \
                assert sys.stdin.read() == ''\n    return [1, 2, 3]\n";
    let script = Script::bare(text);
    let log = script.path("logs/handler.log");
    let script = script.with(|options| options.log = HandlerLog::File(log.clone()));
    let model = script.open();
    assert_eq!(texts(&score(&model).unwrap()), ["1", "2", "3"]);
    drop(model);
    let log = fs::read_to_string(log).unwrap();
    for line in ["loading", "out 19999", "err 19999", "raw", "child"] {
        assert!(log.lines().any(|found| found == format!("[handler 1] {line}")), "{line}");
    }
}

#[test]
fn garbage_on_the_pipe_is_an_error() {
    for garbage in [
        "b'\\xff' * 64",
        "b'\\0' * 64",
        "struct.pack('<IIQ', 6, 0, 1 << 62)",
        "struct.pack('<IIQ', 5, 0, 64) + b'\\xff' * 64",
        "struct.pack('<IIQ', 6, 0, 2) + b'ab'",
        "struct.pack('<IIQ', 4, 2, 0) + b'{]'",
        "struct.pack('<IIQ', 99, 2, 0) + b'{}'",
    ] {
        let text = format!(
            "import os, struct\ndef predict(batch: list):\n    for fd in range(3, 20):\n        \
             try:\n            os.write(fd, {garbage})\n        except OSError: pass\n    \
             return [1, 2, 3]\n"
        );
        let model = Script::bare(&text).open();
        let outcome = score(&model);
        assert!(outcome.is_err() || matches!(outcome, Ok(Answer::Json(_))), "{garbage}");
    }
}

#[test]
fn errors_while_loading_stop_the_run_with_their_line() {
    let cases = [
        (
            "x = 1\nimport no_such_module_x\n",
            "ModuleNotFoundError: No module named \
          'no_such_module_x' (handler.py line 2)",
        ),
        ("def predict(batch:\n", "SyntaxError: '(' was never closed (handler.py line 1)"),
        (
            "def load(d):\n    raise OSError('no weights')\ndef predict(batch: list, m): ...\n",
            "OSError: no weights (handler.py line 2)",
        ),
    ];
    for (text, expected) in cases {
        let script = Script::bare(text);
        let error = script.refusal();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.detail().unwrap().contains("handler.py\", line"), "{error:?}");
        assert!(!error.detail().unwrap().contains("bessemer_worker"), "{error:?}");
    }
    assert!(Script::bare("import no_such_module_x").refusal().hint().is_some());
    let error = Script::bare("import os\nos._exit(4)").refusal();
    assert!(error.to_string().ends_with("the handler's process ended with exit code 4"), "{error}");
    let slow = Script::bare("import time\ntime.sleep(600)");
    let error = slow.with(|options| options.load_timeout = Duration::from_millis(500)).refusal();
    assert!(matches!(error, PythonError::Slow { .. }), "{error}");
}

#[test]
fn absent_files_and_interpreters_are_told() {
    let script = Script::bare("").with(|options| options.script = "no/such.py".into());
    assert_eq!(script.refusal().to_string(), "read the handler `no/such.py`");
    let script = Script::bare("").with(|options| options.python = Some("no-such-python".into()));
    let error = script.refusal();
    assert_eq!(error.to_string(), "start the interpreter `no-such-python`");
    assert!(error.hint().is_some());
    let script = Script::bare("").with(|options| options.python = Some("false".into()));
    assert!(script.refusal().to_string().ends_with("ended with exit code 1"));
}

#[test]
fn a_handler_that_no_longer_loads_is_unreachable() {
    let text = "import os\nif os.path.exists(os.path.dirname(__file__) + '/broken'):\n    \
                raise OSError('gone')\ndef predict(batch: list):\n    os._exit(1)\n";
    let script = Script::bare(text);
    let model = script.open();
    fs::write(script.path("broken"), "").unwrap();
    assert_eq!(score(&model).unwrap_err().class, RejectClass::WorkerDied);
    let error = score(&model).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Unreachable);
    assert_eq!(
        error.message,
        "the handler cannot be started again: OSError: gone (handler.py line 3)"
    );
    fs::remove_file(script.path("broken")).unwrap();
    assert_eq!(score(&model).unwrap_err().class, RejectClass::WorkerDied);
}

#[test]
fn calls_share_the_workers() {
    let text = "import os, time\ndef predict(batch: list):\n    time.sleep(0.05)\n    \
                return [os.getpid()] * len(batch)\n";
    let script = Script::bare(text).with(|options| options.copies = Some(3));
    let model = script.open();
    assert_eq!(
        model.limits(),
        Limits {
            max_concurrent: Some(3),
            start_concurrent: Some(3),
            start_rows: Some(1024),
            ..Limits::default()
        }
    );
    let mut pids: Vec<String> = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..12).map(|_| scope.spawn(|| texts(&score(&model).unwrap()).remove(0))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    pids.sort();
    pids.dedup();
    assert!((1..=3).contains(&pids.len()), "{pids:?}");
    // The threads that asked for workers are gone, the workers are not.
    assert!(pids.iter().all(|pid| runs(pid)));
    drop(model);
    assert!(!pids.iter().any(|pid| runs(pid)));
}

#[test]
fn workers_without_a_number_follow_the_calls() {
    let text = "import time\ndef predict(batch: list):\n    time.sleep(0.05)\n    \
                return [1] * len(batch)\n";
    let script = Script::bare(text).with(|options| options.copies = None);
    let model = script.open();
    for _ in 0..3 {
        score(&model).unwrap();
    }
    assert_eq!(model.copies(), Some(Copies { there: 1, ready: 1 }), "one call needs one worker");
    let most = thread::available_parallelism().unwrap().get().min(2);
    let both = Some(Copies { there: most, ready: most });
    // Two calls that miss each other need no second worker.
    for _ in 0..20 {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| score(&model).unwrap());
            }
        });
        if model.copies() == both {
            return;
        }
    }
    panic!("{:?}", model.copies());
}

#[test]
fn memory_limits_the_copies_and_frees_their_threads() {
    let text = "import os\nballast = bytearray(os.urandom(1 << 20)) * 60\n\
                def predict(batch: list):\n    return [os.environ['OMP_NUM_THREADS']] * len(batch)\n";
    let script = Script::bare(text).with(|options| {
        options.copies = Some(64);
        options.memory = Some(100 << 20);
    });
    let model = script.open();
    assert_eq!(model.limits().max_concurrent, Some(1));
    let cores = thread::available_parallelism().unwrap();
    if std::env::var_os("OMP_NUM_THREADS").is_none() {
        assert_eq!(texts(&score(&model).unwrap())[0], format!("\"{cores}\""));
    }
    let own = script.with(|options| options.env = vec![("OMP_NUM_THREADS".into(), "5".into())]);
    assert_eq!(texts(&score(&own.open()).unwrap())[0], "\"5\"");
}
