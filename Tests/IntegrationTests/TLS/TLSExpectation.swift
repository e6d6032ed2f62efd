// SPDX-License-Identifier: Apache-2.0

import Mosquitto

typealias TLSVersion = MQTTTLSConfiguration.Version

/// The outcome that a row states, in each version of TLS.
struct TLSExpectation: Sendable {
    var v1_2: TLSOutcome
    var v1_3: TLSOutcome

    subscript(version: TLSVersion) -> TLSOutcome { version == .v1_2 ? v1_2 : v1_3 }

    /// TLS with this cipher in TLS 1.2, and with this cipher suite in TLS 1.3, of which OpenSSL has this one first.
    static func connects(
        _ cipher: String = "ECDHE-ECDSA-AES256-GCM-SHA384", suite: String = "TLS_AES_256_GCM_SHA384",
        applicationProtocol: String? = nil
    ) -> Self {
        Self(
            v1_2: .connected(.init(version: "TLSv1.2", cipher: cipher, applicationProtocol: applicationProtocol)),
            v1_3: .connected(.init(version: "TLSv1.3", cipher: suite, applicationProtocol: applicationProtocol)))
    }

    /// This side refuses the broker's certificate because of OpenSSL's error of this number, and sends this alert.
    static func refused(_ error: Int32, at depth: Int32 = 0, _ commonName: String, sends alert: String) -> Self {
        fails(
            .tlsVerification, in: .tlsHandshake, .verification, "\(error) at \(depth), CN=\(commonName)",
            alert: "sent \(alert)")
    }

    /// The broker ends the handshake with this alert.
    static func alerted(_ alert: String) -> Self { alerted(v1_2: alert, v1_3: alert) }

    static func alerted(v1_2: String, v1_3: String) -> Self {
        let outcome = { (alert: String) in fails(.tlsAlert, in: .tlsHandshake, .alert, alert: "received \(alert)").v1_2
        }
        return Self(v1_2: outcome(v1_2), v1_3: outcome(v1_3))
    }

    /// The broker refuses the client's certificate with this alert. In TLS 1.3 it does so after the client's handshake
    /// (RFC 8446, section 4.4.2.4).
    static func certificateRefused(_ alert: String) -> Self { certificateRefused(v1_2: alert, v1_3: alert) }

    static func certificateRefused(v1_2: String, v1_3: String) -> Self {
        Self(
            v1_2: fails(.tlsAlert, in: .tlsHandshake, .clientCertificate, alert: "received \(v1_2)").v1_2,
            v1_3: fails(.tlsAlert, in: .connack, .clientCertificate, alert: "received \(v1_3)").v1_3)
    }

    /// Nothing is sent. The message names files without their folder.
    static func misconfigured(_ message: String) -> Self {
        fails(.tlsConfiguration, in: .resolve, .configuration, detail: "TLS: " + message)
    }

    static func always(_ outcome: TLSOutcome) -> Self { Self(v1_2: outcome, v1_3: outcome) }

    static func fails(
        _ code: MQTTError.Code, in phase: MQTTError.Phase?, _ kind: MQTTTLSFailure.Kind? = nil,
        _ verification: String? = nil,
        alert: String? = nil, detail: String? = nil
    ) -> Self {
        let failure = TLSOutcome.Failure(
            code: code, phase: phase, kind: kind, verification: verification, alert: alert, detail: detail)
        return always(.failed(failure))
    }
}
