//! What a process may take.

use std::{fs, time::Duration};

use bessemer_compute::{Cause, Controller, Layer, Status};

use crate::site::{Site, is_root};

const EAT: &str =
    "import os\nheap = []\nwhile True: heap.append(bytearray(os.urandom(1) * (4 << 20)))";

#[test]
fn a_memory_bomb_is_ended_and_named() {
    let site = Site::new();
    let mut spec = site.python(EAT);
    spec.limits.memory = Some(200 << 20);
    let (exit, output) = site.run(&spec);
    assert_eq!(
        (exit.status, exit.cause),
        (Status::Signal(9), Some(Cause::OutOfMemory)),
        "{output}"
    );
    assert!(exit.out_of_memory() && !exit.is_success());
    assert!(exit.peak_memory > 200 << 20, "{}", exit.peak_memory);
    assert!(exit.to_string().starts_with("ran out of memory"), "{exit}");
}

#[test]
fn a_memory_bomb_of_many_processes_is_ended() {
    let site = Site::new();
    let script = format!("import os\nfor _ in range(3): os.fork()\n{EAT}");
    let mut spec = site.python(&script);
    spec.limits.memory = Some(300 << 20);
    let (exit, output) = site.run(&spec);
    assert_eq!(exit.cause, Some(Cause::OutOfMemory), "{output}");
}

#[test]
fn memory_that_processes_share_counts_once() {
    let site = Site::new();
    let mut spec = site.python(
        "import os, time\nheap = os.urandom(1) * (100 << 20)\n\
         for _ in range(4):\n  if os.fork() == 0: time.sleep(1); os._exit(0)\n\
         for _ in range(4): os.wait()",
    );
    spec.limits.memory = Some(200 << 20);
    let (exit, output) = site.run(&spec);
    assert!(exit.is_success(), "{exit}: {output}");
}

#[test]
fn a_disk_bomb_is_ended_and_named() {
    let site = Site::new();
    let mut spec = site.sh("i=0; while :; do head -c 8000000 /dev/zero > f$i; i=$((i+1)); done");
    spec.limits.disk = Some(50_000_000);
    let (exit, _) = site.run(&spec);
    assert_eq!(exit.cause, Some(Cause::OutOfDisk));
}

#[test]
fn a_disk_bomb_of_files_without_names_is_ended() {
    let site = Site::new();
    let mut spec = site.python(
        "import os, time\nwhile True:\n  f = os.open('x', os.O_CREAT | os.O_WRONLY); os.unlink('x')\n  \
         os.write(f, b'x' * 8000000)",
    );
    spec.limits.disk = Some(50_000_000);
    spec.limits.open_files = Some(100);
    let (exit, _) = site.run(&spec);
    assert_eq!(exit.cause, Some(Cause::OutOfDisk));
}

#[test]
fn one_file_has_a_limit_of_its_own() {
    let site = Site::new();
    let mut spec = site.sh("head -c 3000000 /dev/zero > big; echo $?; wc -c < big");
    spec.limits.file_size = Some(1_000_000);
    let (_, output) = site.run(&spec);
    assert!(output.contains("1000000\n"), "{output}");
}

#[test]
fn files_in_memory_have_a_limit() {
    let site = Site::new();
    let mut spec = site.sh(
        "head -c 3000000 /dev/zero > /tmp/x; wc -c < /tmp/x; head -c 3000000 /dev/zero > /dev/shm/x; \
         wc -c < /dev/shm/x",
    );
    spec.limits.tmp = Some(1 << 20);
    let (_, output) = site.run(&spec);
    assert_eq!(output.matches("1048576\n").count(), 2, "{output}");
}

#[test]
fn open_files_have_a_limit() {
    let site = Site::new();
    let mut spec = site.sh("ulimit -n; ulimit -c");
    spec.limits.open_files = Some(77);
    assert_eq!(site.run(&spec).1, "77\n0\n");
}

#[test]
fn output_has_a_limit() {
    let site = Site::new();
    let mut spec = site.sh("yes abcdefgh | head -n 1000000; echo done > finished");
    spec.log.max_bytes = 100_000;
    let (exit, output) = site.run(&spec);
    assert!(exit.is_success());
    assert!(fs::metadata(site.path("logs/1.log")).unwrap().len() < 101_000);
    assert!(output.contains("the log is full"), "{}", &output[output.len() - 200..]);
    assert!(fs::exists(site.path("runs/1/ml/finished")).unwrap());
}

#[test]
fn a_control_group_limits_processes_and_goes_again() {
    let site = Site::with_groups(&[Controller::Processes, Controller::Cpu]);
    let mut spec = site.python(
        "import threading, time\ntry:\n  for i in range(100):\n    \
         threading.Thread(target=time.sleep, args=[600], daemon=True).start()\n\
         except RuntimeError: print(i)",
    );
    spec.limits.processes = Some(20);
    spec.limits.cores = Some(0.5);
    let child = site.launcher.start(&spec).unwrap();
    let active = |layer| child.layers().iter().any(|state| state.layer == layer && state.active);
    let (processes, cpu) = (active(Layer::ProcessGroup), active(Layer::CpuGroup));
    assert!(child.wait().unwrap().is_success());
    assert_eq!(site.output(), "19\n");
    let note = fs::read_to_string(site.path("runs/1/control/process.json")).unwrap();
    for folder in note.split('"').filter(|text| text.contains("/cgroup/")) {
        assert!(!fs::exists(folder).unwrap(), "{folder}");
    }
    // Whether they can be had is the machine's affair; an ordinary user mostly can't.
    assert!(is_root() || !(processes && cpu));
}

#[test]
fn time_runs_out() {
    let site = Site::new();
    let mut spec =
        site.sh("trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    spec.timeout = Some(Duration::from_millis(300));
    let (exit, output) = site.run(&spec);
    assert_eq!((exit.status, exit.cause), (Status::Code(9), Some(Cause::TimedOut)));
    assert!(output.starts_with("ready\n") && output.contains("asked\n"), "{output}");
}
