//! Clients and contacts: who the firm does business with.
