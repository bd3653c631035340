//! The roles on the command line: `ubos relay` runs one, `ubos relay status` operates it.

use super::{ROLES, Role, RoleInfo};
use crate::output::{Done, Output};
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command, Error, FromArgMatches, Subcommand};
use futures::future::LocalBoxFuture;
use std::path::Path;

/// Nothing can be asked of the role.
#[derive(Debug, Clone, Copy)]
pub enum NoVerb {}

impl FromArgMatches for NoVerb {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, Error> {
        Err(Error::new(ErrorKind::InvalidSubcommand))
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), Error> {
        match *self {}
    }
}

impl Subcommand for NoVerb {
    fn augment_subcommands(command: Command) -> Command {
        command
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        command
    }

    fn has_subcommand(_: &str) -> bool {
        false
    }
}

/// How a role's verbs are added to its subcommand, and read from what was typed.
#[derive(Clone, Copy)]
pub struct Verbs {
    augment: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Box<dyn Asked>, Error>,
}

/// What an operator asks of a role.
trait Asked {
    fn answer<'a>(self: Box<Self>, config: Option<&'a Path>, out: &'a Output) -> LocalBoxFuture<'a, Result<Done>>;
}

struct VerbOf<R: Role>(R::Verb);

impl<R: Role> Asked for VerbOf<R> {
    fn answer<'a>(self: Box<Self>, config: Option<&'a Path>, out: &'a Output) -> LocalBoxFuture<'a, Result<Done>> {
        Box::pin(R::operate(config, self.0, out))
    }
}

pub(super) const fn verbs_of<R: Role>() -> Verbs {
    Verbs {
        augment: R::Verb::augment_subcommands,
        read: |matches| Ok(Box::new(VerbOf::<R>(R::Verb::from_arg_matches(matches)?))),
    }
}

/// A role that was named on the command line, and what is asked of it; without that it is to run.
pub struct RoleVerb {
    /// Which one.
    pub role: &'static RoleInfo,
    asked: Option<Box<dyn Asked>>,
}

impl RoleVerb {
    /// Is the role itself to run?
    pub fn runs(&self) -> bool {
        self.asked.is_none()
    }

    /// Does what an operator asks.
    pub async fn answer(self, config: Option<&Path>, out: &Output) -> Result<Done> {
        match self.asked {
            Some(asked) => asked.answer(config, out).await,
            None => anyhow::bail!("{} is to run, and was asked for something", self.role.name),
        }
    }
}

impl FromArgMatches for RoleVerb {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorKind::InvalidSubcommand);
        let (name, below) = matches.subcommand().ok_or_else(unknown)?;
        let role = ROLES.iter().find(|role| role.name == name).ok_or_else(unknown)?;
        let asked = below.subcommand_name().map(|_| (role.verbs.read)(below)).transpose()?;
        Ok(Self { role, asked })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for RoleVerb {
    fn augment_subcommands(command: Command) -> Command {
        ROLES.iter().fold(command, |command, role| {
            // Last, because the verbs bring a sentence of their own.
            command.subcommand((role.verbs.augment)(Command::new(role.name)).about(role.about))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        ROLES.iter().any(|role| role.name == name)
    }
}
