/// Whether a client goes where a broker sends it (MQTT 5.0, section 4.11: reason codes 0x9C and 0x9D with a Server Reference).
///
/// The credentials go along: a policy is a statement about whom they may be shown to. At most three redirections are
/// followed in a row, and none to an endpoint that was visited on the way.
public enum MQTTRedirectPolicy: Sendable, Hashable {
    /// Never. The reference is in the error.
    case none
    /// Only to a host of ``MQTTClientConfiguration/endpoints``, at any port.
    case listed
    /// To any host. Only with TLS, whose certificate check then is what protects the credentials.
    case any
}
