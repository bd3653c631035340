use kernel_macros::command;

/// A part whose id nobody can choose.
#[command("projects.project", member)]
enum Command {
    /// Puts a task into the project.
    #[makes("task_id")]
    AddTask {
        /// What is to be done.
        title: String,
    },
}

fn main() {}
