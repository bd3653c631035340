//! Project templates, projects, milestones and tasks.
