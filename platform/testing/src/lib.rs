//! A fresh world for every test: databases from a template, subjects of their own.
