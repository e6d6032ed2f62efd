// SPDX-License-Identifier: Apache-2.0

/// Owns the parameters and the result of a client's end.
struct SessionEnding {
    /// The DISCONNECT of a shutdown.
    var disconnect = MQTTDisconnect()
    /// True if a graceful end was requested.
    var isGraceful = false
    /// The time that consumers may outlive the client.
    var outlivingTime: Duration?
    /// The messages that a shutdown could not send.
    var unsent: MQTTError?
}
