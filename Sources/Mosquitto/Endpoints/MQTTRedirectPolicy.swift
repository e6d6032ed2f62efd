// SPDX-License-Identifier: Apache-2.0

/// The policy for redirections by a broker (MQTT 5.0, section 4.11: reason codes 0x9C and 0x9D with a Server
/// Reference).
///
/// The client sends its credentials to the target: the policy decides which hosts may receive them. The client follows
/// at most three redirections in a series, and none to an endpoint that it has visited in that series.
public enum MQTTRedirectPolicy: Sendable, Hashable {
    /// Follow no redirection. The error contains the reference.
    case none
    /// Follow redirections to hosts of ``MQTTClientConfiguration/endpoints``, at any port.
    case listed
    /// Follow redirections to any host. Only with TLS, whose certificate check then protects the credentials.
    case any
}
