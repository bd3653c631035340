//! Who holds what while several commands are decided one after the other, and what the append is asked about it.
//!
//! The log knows who held a claim before, these commands know who takes and gives it up after that. Together they come to what
//! would have happened if each had been appended by itself, with nobody in between.

use kernel::Claim;
use std::collections::HashMap;

/// What an event wants of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To hold it.
    Take,
    /// To hold it no longer.
    Release,
    /// That nobody else holds it.
    Free,
}

/// One line of what the append does about claims; whoever comes later sees what was released before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimRow {
    /// The stream for which it is, by its place.
    pub stream: usize,
    /// The command that wants it, by its place.
    pub command: usize,
    /// It is to be held (`true`), given up (`false`), or only not to be held by anybody else.
    pub take: Option<bool>,
    pub claim: Claim,
}

/// The claims that were spoken of so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    rows: Vec<ClaimRow>,
    /// By scope and value.
    standing: HashMap<(&'static str, String), Standing>,
}

/// What is known of one claim.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// The stream that holds it, and the command with which it took it.
    holder: Option<(usize, usize)>,
    /// The row of the first taking: after that, the log has no more say.
    first: Option<usize>,
    /// Streams that gave up what they may have held before.
    released: Vec<usize>,
}

/// Who holds a claim, as far as the commands so far know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holder<'a> {
    /// This stream.
    Stream(usize),
    /// Nobody.
    Nobody,
    /// Whom the log names, unless it is one of these streams.
    Logged(&'a [usize]),
}

impl Claims {
    /// Adds what a command of a stream wants. What the stream cannot have because an earlier one holds it is answered, with
    /// that stream, and then nothing is added.
    pub fn add(
        &mut self,
        stream: usize,
        command: usize,
        wishes: Vec<(Wish, Claim)>,
    ) -> Result<(), (&'static str, usize)> {
        for (wish, claim) in &wishes {
            if *wish != Wish::Release
                && let Holder::Stream(holder) = self.holder(claim.scope, &claim.value)
                && holder != stream
            {
                return Err((claim.scope, holder));
            }
        }
        for (wish, claim) in wishes {
            self.put(stream, command, wish, claim);
        }
        Ok(())
    }

    /// Who holds this now.
    pub fn holder(&self, scope: &'static str, value: &str) -> Holder<'_> {
        match self.standing.get(&(scope, value.to_owned())) {
            None => Holder::Logged(&[]),
            Some(Standing { holder: Some((stream, _)), .. }) => Holder::Stream(*stream),
            Some(Standing { first: Some(_), .. }) => Holder::Nobody,
            Some(Standing { released, .. }) => Holder::Logged(released),
        }
    }

    fn put(&mut self, stream: usize, command: usize, wish: Wish, claim: Claim) {
        let row = self.rows.len();
        let standing = self.standing.entry((claim.scope, claim.value.clone())).or_default();
        let take = match wish {
            Wish::Free | Wish::Take if standing.first.is_some() || standing.holder.is_some() => None,
            Wish::Free => Some(None),
            Wish::Take => {
                standing.first = Some(row);
                Some(None)
            }
            Wish::Release if standing.holder.is_some_and(|(holder, _)| holder == stream) => Some(Some(false)),
            // Nobody holds it, or somebody else does.
            Wish::Release if standing.first.is_some() => None,
            Wish::Release => {
                standing.released.push(stream);
                Some(Some(false))
            }
        };
        match wish {
            Wish::Take => standing.holder = Some((stream, command)),
            Wish::Release if standing.holder.is_some_and(|(holder, _)| holder == stream) => standing.holder = None,
            _ => {}
        }
        if let Some(take) = take {
            self.rows.push(ClaimRow { stream, command, take, claim });
        }
    }

    /// What the append is asked. Whoever holds a claim at the end, holds it in the log.
    pub fn into_rows(mut self) -> Vec<ClaimRow> {
        let mut held: Vec<(usize, (usize, usize))> =
            self.standing.into_values().filter_map(|standing| Some((standing.first?, standing.holder?))).collect();
        held.sort_unstable();
        for (first, (stream, command)) in held {
            let row = &mut self.rows[first];
            if row.stream == stream {
                row.take = Some(true);
            } else {
                let claim = row.claim.clone();
                self.rows.push(ClaimRow { stream, command, take: Some(true), claim });
            }
        }
        self.rows
    }
}

/// What the append is asked for one command alone.
pub(crate) fn rows_of(mut wishes: Vec<(Wish, Claim)>) -> Vec<ClaimRow> {
    if wishes.len() > 1 {
        let mut claims = Claims::default();
        // Nobody else is there to hold anything.
        claims.add(0, 0, wishes).unwrap_or_default();
        return claims.into_rows();
    }
    let Some((wish, claim)) = wishes.pop() else { return vec![] };
    let take = match wish {
        Wish::Take => Some(true),
        Wish::Release => Some(false),
        Wish::Free => None,
    };
    vec![ClaimRow { stream: 0, command: 0, take, claim }]
}

#[cfg(test)]
mod tests {
    use super::Wish::{Free, Release, Take};
    use super::*;

    const X: &str = "x";

    /// What is asked after these wishes, each of a stream and a command of its own.
    fn asked(wishes: &[(usize, Wish)]) -> Result<Vec<(usize, Option<bool>)>, usize> {
        let mut claims = Claims::default();
        for (command, (stream, wish)) in wishes.iter().enumerate() {
            let taken = claims.add(*stream, command, vec![(*wish, Claim::new("test.claim", X))]);
            taken.map_err(|(_, holder)| holder)?;
        }
        Ok(claims.into_rows().into_iter().map(|row| (row.stream, row.take)).collect())
    }

    #[test]
    fn what_one_gives_up_another_takes() {
        assert_eq!(asked(&[(1, Release), (2, Take)]), Ok(vec![(1, Some(false)), (2, Some(true))]));
    }

    #[test]
    fn what_one_takes_no_other_has_until_it_is_given_up() {
        assert_eq!(asked(&[(1, Take), (2, Take)]), Err(1));
        assert_eq!(asked(&[(1, Take), (2, Free)]), Err(1));
        assert_eq!(asked(&[(1, Take), (1, Take)]), Ok(vec![(1, Some(true))]));
        assert_eq!(
            asked(&[(1, Take), (1, Release), (2, Take)]),
            Ok(vec![(1, None), (1, Some(false)), (2, Some(true))]),
            "the first one has to be able to take it"
        );
    }

    #[test]
    fn whoever_gives_up_too_late_is_in_the_way() {
        // The row of the second comes before nothing, so the append sees the first one's claim.
        assert_eq!(asked(&[(2, Take), (1, Release)]), Ok(vec![(2, Some(true))]));
        assert_eq!(asked(&[(2, Free), (1, Release)]), Ok(vec![(2, None), (1, Some(false))]));
    }

    #[test]
    fn what_is_taken_and_given_up_is_nobodys() {
        assert_eq!(asked(&[(1, Take), (1, Release)]), Ok(vec![(1, None), (1, Some(false))]));
        assert_eq!(asked(&[(1, Take), (1, Release), (2, Free)]), Ok(vec![(1, None), (1, Some(false))]));
    }

    #[test]
    fn released_and_taken_again_is_taken() {
        let claim = || Claim::new("test.claim", X);
        let rows = rows_of(vec![(Release, claim()), (Take, claim())]);
        assert_eq!(rows.iter().map(|row| row.take).collect::<Vec<_>>(), [Some(false), Some(true)]);
        assert_eq!(rows_of(vec![(Take, claim())])[0].take, Some(true));
        assert_eq!(rows_of(vec![]), []);
    }

    #[test]
    fn who_holds_a_claim_is_known_between_the_commands() {
        let mut claims = Claims::default();
        claims.add(1, 0, vec![(Release, Claim::new("test.claim", X))]).unwrap();
        assert_eq!(claims.holder("test.claim", X), Holder::Logged(&[1]));
        claims.add(2, 0, vec![(Take, Claim::new("test.claim", X))]).unwrap();
        assert_eq!(claims.holder("test.claim", X), Holder::Stream(2));
        claims.add(2, 0, vec![(Release, Claim::new("test.claim", X))]).unwrap();
        assert_eq!(claims.holder("test.claim", X), Holder::Nobody);
        assert_eq!(claims.holder("test.claim", "y"), Holder::Logged(&[]));
    }
}
