/// Owns what is known of a client's end before it comes.
struct SessionEnding {
    /// The DISCONNECT of a shutdown.
    var disconnect = MQTTDisconnect()
    /// True if somebody has asked for a graceful end.
    var isGraceful = false
    /// The time that consumers may outlive the client.
    var outlivingTime: Duration?
    /// The messages that a shutdown could not send.
    var unsent: MQTTError?
}
