/// When to look whether a connection is alive, and what to make of its silence (MQTT 5.0, section 3.1.2.10).
struct KeepAlive {
    /// How often to look: a fifth of the keep-alive, and no more than once a second.
    let interval: Duration
    /// PINGREQ is sent when so many checks found nothing sent, or nothing received: before the keep-alive has passed.
    let pingAfter: Int
    /// The connection is lost after so many checks that found nothing received: a keep-alive after PINGREQ.
    let lostAfter: Int

    /// `nil` if there is no keep-alive.
    init?(seconds: Int) {
        guard seconds > 0 else { return nil }
        interval = max(.seconds(1), .seconds(seconds) / 5)
        let checks = min(seconds, 5)
        pingAfter = max(1, checks - 1)
        lostAfter = pingAfter + checks
    }
}
