//! Portal users and their invitations.
