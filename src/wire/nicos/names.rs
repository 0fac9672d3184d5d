//! The names and codes of commands and events.

/// Makes an enumeration of names with codes.
macro_rules! codes {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$doc])* $variant,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number in the frame.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// What NICOS calls it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The one with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The one that NICOS calls so.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// A command of the daemon.
    Command {
        /// Runs a script unless one is running.
        Start = "start" 0x01,
        /// Runs a script in a process of its own, without instrument.
        Simulate = "simulate" 0x02,
        /// Queues a script.
        Queue = "queue" 0x03,
        /// Takes a script off the queue.
        Unqueue = "unqueue" 0x04,
        /// Changes a script.
        Update = "update" 0x05,
        /// Pauses the script.
        Break = "break" 0x11,
        /// Lets a paused script go on.
        Continue = "continue" 0x12,
        /// Ends the script at the next breakpoint.
        Stop = "stop" 0x13,
        /// Ends the script at once and stops all devices.
        Emergency = "emergency" 0x14,
        /// Ends the running count early.
        Finish = "finish" 0x15,
        /// Runs a statement beside the script.
        Exec = "exec" 0x21,
        /// Evaluates an expression.
        Eval = "eval" 0x22,
        /// Adds watch expressions.
        Watch = "watch" 0x31,
        /// Removes watch expressions.
        Unwatch = "unwatch" 0x32,
        /// Gives the daemon's version.
        GetVersion = "getversion" 0x41,
        /// Gives the state of everything.
        GetStatus = "getstatus" 0x42,
        /// Gives the last messages.
        GetMessages = "getmessages" 0x43,
        /// Gives the script.
        GetScript = "getscript" 0x44,
        /// Gives old values from the cache.
        GetHistory = "gethistory" 0x45,
        /// Gives present values from the cache.
        GetCacheKeys = "getcachekeys" 0x46,
        /// Gives where the script is.
        GetTrace = "gettrace" 0x47,
        /// Gives a dataset.
        GetDataset = "getdataset" 0x48,
        /// Completes a line of input.
        Complete = "complete" 0x51,
        /// Puts a file beside the daemon.
        Transfer = "transfer" 0x52,
        /// Starts the debugger.
        Debug = "debug" 0x53,
        /// Answers the debugger.
        DebugInput = "debuginput" 0x54,
        /// Stops events of some kinds.
        EventMask = "eventmask" 0x61,
        /// Gives up control.
        Unlock = "unlock" 0x62,
        /// Ends the session.
        Quit = "quit" 0x63,
        /// Logs in.
        Authenticate = "authenticate" 0x64,
        /// Sends events of some kinds again.
        EventUnmask = "eventunmask" 0x65,
        /// Gives the queue a new order.
        Rearrange = "rearrange" 0x66,
        /// Does nothing.
        KeepAlive = "keepalive" 0x67,
    }
}

impl Command {
    /// Whether daemons sometimes send two replies: `finish` while a script is being stopped, `gethistory`
    /// without a cache. Whoever does not expect that is one reply behind from then on.
    #[must_use]
    pub const fn may_answer_twice(self) -> bool {
        matches!(self, Self::Finish | Self::GetHistory)
    }
}

codes! {
    /// An event of the daemon.
    Event {
        /// A line of output or of the log.
        Message = "message" 0x1001,
        /// A script was queued.
        Request = "request" 0x1002,
        /// A script begins, or was changed while it runs.
        Processing = "processing" 0x1003,
        /// Scripts were taken off the queue.
        Blocked = "blocked" 0x1004,
        /// The script's state or line.
        Status = "status" 0x1005,
        /// The values of the watch expressions.
        Watch = "watch" 0x1006,
        /// Whether this daemon may move devices.
        Mode = "mode" 0x1007,
        /// A value in the cache.
        Cache = "cache" 0x1008,
        /// A new dataset.
        Dataset = "dataset" 0x1009,
        /// A point of a dataset.
        DataPoint = "datapoint" 0x100a,
        /// A fitted curve.
        DataCurve = "datacurve" 0x100b,
        /// Detector data, in blobs.
        LiveData = "livedata" 0x100d,
        /// A dry run has ended.
        SimResult = "simresult" 0x100e,
        /// A page of help.
        ShowHelp = "showhelp" 0x100f,
        /// A function for the client to call.
        ClientExec = "clientexec" 0x1010,
        /// A warning of the watchdog.
        Watchdog = "watchdog" 0x1011,
        /// The debugger begins or ends.
        Debugging = "debugging" 0x1012,
        /// Equipment was plugged in.
        PlugPlay = "plugplay" 0x1013,
        /// The loaded setups.
        Setup = "setup" 0x1014,
        /// Devices came or went.
        Device = "device" 0x1015,
        /// The experiment has changed.
        Experiment = "experiment" 0x1016,
        /// A question of the script.
        Prompt = "prompt" 0x1017,
        /// A waiting script was changed.
        Updated = "updated" 0x1018,
        /// The queue has a new order.
        Rearranged = "rearranged" 0x1019,
        /// When the script may end.
        Eta = "eta" 0x101a,
        /// A line of output of a dry run.
        SimMessage = "simmessage" 0x101b,
        /// A script has ended.
        Done = "done" 0x101c,
        /// A question was settled (from protocol version 24 on).
        PromptDone = "promptdone" 0x101d,
    }
}
