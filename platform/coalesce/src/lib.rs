//! Coalesced questions: whoever asks while the last ones are in flight shares the next one.
//!
//! One who asks alone waits for nobody, and the more ask at once, the less each of them costs.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How much is asked at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Questions in flight; more would only queue where they are answered.
    pub in_flight: usize,
    /// Keys in one question, before those that are the same are asked for once.
    pub keys: usize,
}

/// Answers keys, several in one question. Cheap to clone; it ends when the last clone is dropped.
#[derive(Debug)]
pub struct Coalescer<K, V>(mpsc::UnboundedSender<(K, oneshot::Sender<V>)>);

impl<K, V> Clone for Coalescer<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + 'static> Coalescer<K, V> {
    /// `ask` answers each of the keys, in their order.
    pub fn start<F, A>(limits: Limits, ask: F) -> Self
    where
        F: Fn(Vec<K>) -> A + Send + 'static,
        A: Future<Output = Vec<V>> + Send + 'static,
    {
        // Unbounded, because every waiter is a request that was admitted, and those are bounded.
        let (sender, mut queue) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(limits.in_flight));
        tokio::spawn(async move {
            while let Ok(permit) = permits.clone().acquire_owned().await {
                let mut asked = vec![];
                if queue.recv_many(&mut asked, limits.keys).await == 0 {
                    return;
                }
                let mut waiters: HashMap<K, Vec<oneshot::Sender<V>>> = HashMap::with_capacity(asked.len());
                for (key, reply) in asked {
                    waiters.entry(key).or_default().push(reply);
                }
                let (keys, waiters): (Vec<K>, Vec<_>) = waiters.into_iter().unzip();
                let answers = ask(keys);
                tokio::spawn(async move {
                    for (value, replies) in answers.await.into_iter().zip(waiters) {
                        replies.into_iter().for_each(|reply| drop(reply.send(value.clone())));
                    }
                    drop(permit);
                });
            }
        });
        Self(sender)
    }

    /// The answer to one key; none if whoever asks has ended, or panicked over the question.
    pub async fn get(&self, key: K) -> Option<V> {
        let (reply, answer) = oneshot::channel();
        self.0.send((key, reply)).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Answers the double of each key, each question when it is given leave, and shows what was asked.
    fn doubling(limits: Limits) -> (Coalescer<u32, u32>, Arc<Semaphore>, mpsc::UnboundedReceiver<Vec<u32>>) {
        let leave = Arc::new(Semaphore::new(0));
        let (asked, shown) = mpsc::unbounded_channel();
        let given = leave.clone();
        let coalescer = Coalescer::start(limits, move |keys: Vec<u32>| {
            let (given, asked) = (given.clone(), asked.clone());
            async move {
                let mut sorted = keys.clone();
                sorted.sort_unstable();
                drop(asked.send(sorted));
                given.acquire().await.expect("nobody closes it").forget();
                assert!(!keys.contains(&13), "unlucky");
                keys.iter().map(|key| key * 2).collect()
            }
        });
        (coalescer, leave, shown)
    }

    /// Asks for these keys in their order, and waits until each is on its way.
    async fn ask(coalescer: &Coalescer<u32, u32>, keys: &[u32]) -> Vec<tokio::task::JoinHandle<Option<u32>>> {
        let mut asking = vec![];
        for key in keys.iter().copied() {
            let coalescer = coalescer.clone();
            asking.push(tokio::spawn(async move { coalescer.get(key).await }));
            tokio::task::yield_now().await;
        }
        asking
    }

    #[tokio::test]
    async fn who_asks_meanwhile_shares_the_next_question() {
        let (coalescer, leave, mut shown) = doubling(Limits { in_flight: 1, keys: 3 });
        let first = ask(&coalescer, &[1]).await;
        assert_eq!(shown.recv().await, Some(vec![1]));
        let others = ask(&coalescer, &[2, 3, 2, 4]).await;
        leave.add_permits(3);
        for (key, answer) in [1, 2, 3, 2, 4].into_iter().zip(first.into_iter().chain(others)) {
            assert_eq!(answer.await.expect("an asker does not panic"), Some(key * 2));
        }
        assert_eq!(shown.recv().await, Some(vec![2, 3]), "three askers, of whom two ask the same");
        assert_eq!(shown.recv().await, Some(vec![4]), "and what was more than goes into one question");
    }

    #[tokio::test]
    async fn a_question_that_takes_long_or_panics_holds_up_no_other() {
        let (coalescer, leave, mut shown) = doubling(Limits { in_flight: 2, keys: 8 });
        let unlucky = ask(&coalescer, &[13]).await;
        assert_eq!(shown.recv().await, Some(vec![13]));
        let second = ask(&coalescer, &[1]).await;
        assert_eq!(shown.recv().await, Some(vec![1]), "asked while the first is in flight");
        leave.add_permits(3);
        for (expected, answer) in [None, Some(2)].into_iter().zip(unlucky.into_iter().chain(second)) {
            assert_eq!(answer.await.expect("an asker does not panic"), expected);
        }
        assert_eq!(coalescer.get(5).await, Some(10), "and neither keeps its place");
    }

    #[tokio::test]
    async fn it_ends_with_the_last_clone() {
        let alive = Arc::new(());
        let held = alive.clone();
        let coalescer = Coalescer::start(Limits { in_flight: 1, keys: 1 }, move |keys: Vec<u32>| {
            let held = held.clone();
            async move {
                drop(held);
                keys
            }
        });
        assert_eq!(coalescer.get(1).await, Some(1));
        drop(coalescer);
        let ended = async {
            while Arc::strong_count(&alive) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("nothing is held any more");
    }
}
