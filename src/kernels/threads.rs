//! Work on several threads.

use memmap2::MmapMut;
use std::sync::Mutex;

/// Bytes that must be free for a thread to be begun: its stack, and what the C library ends the process for if it is wanting.
const BEGINNING: usize = 4 << 20;

/// Do `work` on every item, on up to `threads` threads: this one, and as many more as the system lets it have; results in the items'
/// order.
pub fn on_threads<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let threads = threads.min(items.len());
    let queue = Mutex::new(items.into_iter().zip(&mut results));
    let take_part = || loop {
        let Some((item, result)) = queue.lock().unwrap().next() else { break };
        *result = Some(work(item));
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let begins = MmapMut::map_anon(BEGINNING).is_ok();
            if !begins || std::thread::Builder::new().spawn_scoped(scope, take_part).is_err() {
                break;
            }
        }
        take_part();
    });
    drop(queue);
    results.into_iter().map(|r| r.expect("every item was worked on")).collect()
}
