// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Diagnosis {
    /// A handshake that failed.
    static func tls(_ error: MQTTError, _ facts: TLSFacts, now: Date) -> Diagnosis {
        guard let failure = error.tls else { return tlsWithoutDetail(error) }
        switch failure.kind {
        case .verification: return verification(failure, facts, now: now)
        case .unauthenticated:
            return Diagnosis(.certificateRefused, "\(sentence(failure.description))", remedy: failure.remedy)
        case .clientCertificate: return clientCertificate(failure, facts)
        case .notPostQuantum:
            return Diagnosis(
                .notPostQuantum, "\(sentence(failure.description))",
                likely: [
                    "a broker with an OpenSSL before 3.5", "groups of the broker's configuration that leave it out",
                ],
                remedy: "Renew the broker's TLS library, or leave --tls-post-quantum out.")
        case .notTLS:
            return Diagnosis(
                .notTLS, foreign(error) ?? "What answers at this port does not speak TLS.",
                likely: ["the broker's port for plain TCP, 1883 by default", "another program's port"],
                remedy: "Use the broker's TLS port with -p, 8883 by default, or leave --cafile and the like out.")
        case .tlsRequired: return tlsRequired
        case .configuration:
            return Diagnosis(
                .tlsConfiguration, "\(sentence(error.message))",
                remedy: "Correct the file or the flag that the message names.")
        case .alert, .protocolError:
            return Diagnosis(
                .tlsMismatch, "\(sentence(failure.description))", likely: ["no version or cipher that both sides have"],
                remedy: "Compare --tls-version and --ciphers with the broker's configuration. \(failure.remedy)")
        }
    }

    static let tlsRequired = Diagnosis(
        .tlsRequired, "The broker speaks TLS at this port, and was spoken to without.",
        likely: ["the flags that turn TLS on are missing"],
        remedy: "Add --cafile with the broker's authority, or --tls-use-os-certs, or use the broker's plain port.")

    private static func tlsWithoutDetail(_ error: MQTTError) -> Diagnosis {
        switch error.code {
        case .timeout:
            Diagnosis(
                .noAnswer, "TCP is connected, and the TLS handshake had no answer in time.",
                likely: [
                    "a port that does not speak TLS and waits for something else",
                    "a proxy or load balancer without a broker behind it",
                    "a broker that hangs",
                ],
                remedy: "Check the port, and the broker's log for the connection.")
        case .closed:
            Diagnosis(
                .notTLS, "The connection was closed in the TLS handshake: \(error.message).",
                likely: [
                    "the broker's port for plain TCP, 1883 by default", "a load balancer without a broker behind it",
                    "a firewall that does not let TLS pass",
                ],
                remedy: "Check that -p is the broker's TLS port, 8883 by default, and read the broker's log.")
        default:
            Diagnosis(.tlsMismatch, "\(sentence(error.message))", remedy: "Read the broker's log for this connection.")
        }
    }

    private static func clientCertificate(_ failure: MQTTTLSFailure, _ facts: TLSFacts) -> Diagnosis {
        guard facts.hasClientCertificate else {
            return Diagnosis(
                .clientCertificateMissing, "The broker wants a client certificate, and none was given.",
                likely: failure.alert.map { ["it sent the TLS alert \($0.name)"] } ?? [],
                remedy: "Give one of an authority that the broker trusts, with --cert and --key.")
        }
        let said = failure.alert.map { "it sent the TLS alert \($0.name)" }
        let why =
            switch failure.alert?.code {
            case 44: ["its authority has revoked it"]
            case 45: ["it has expired"]
            case 48: ["the broker does not trust its authority", "its intermediate certificates are missing in --cert"]
            default:
                [
                    "the broker does not trust its authority", "it has expired",
                    "its extended key usage does not allow TLS clients",
                ]
            }
        return Diagnosis(
            .clientCertificateRefused, "The broker refuses the client certificate.",
            likely: (said.map { [$0] } ?? []) + why,
            remedy: "Give another one with --cert and --key, or let the broker trust this one's authority.")
    }

    // MARK: The broker's certificate

    private static func verification(_ failure: MQTTTLSFailure, _ facts: TLSFacts, now: Date) -> Diagnosis {
        guard let check = failure.verification else {
            return Diagnosis(.certificateRefused, "The broker's certificate was refused.", remedy: failure.remedy)
        }
        let certificate = check.certificate
        let whose = check.depth == 0 ? "The broker's certificate" : "A certificate of the broker's chain"
        switch check.code {
        case 9: return notYetValid(whose, certificate, now: now)
        case 10: return expired(whose, certificate, now: now)
        case 2, 18, 19, 20, 21:
            return Diagnosis(
                .unknownAuthority, "No authority that is trusted here has issued the broker's certificate.",
                likely: [
                    certificate.map { "its issuer is \($0.issuer)" }, "the wrong --cafile",
                    "a broker that does not send its intermediate certificates",
                ].compactMap { $0 },
                remedy: "Give the authority's certificate with --cafile, or let the broker send its intermediates.")
        case 62, 63, 64:
            let names = certificate?.subjectAlternativeNames.map(\.description) ?? []
            return Diagnosis(
                .wrongName, "The broker's certificate is not for \(check.host ?? facts.host).",
                likely: [names.isEmpty ? "it names no host at all" : "it is for \(names.joined(separator: ", "))"],
                remedy: "Connect with -h and a name that it is for, or check such a name with --tls-server-name, "
                    + "or give the broker a certificate for this one.")
        case 23:
            return Diagnosis(
                .certificateRevoked, "\(whose) has been revoked by its authority.", remedy: "Replace the certificate.")
        default:
            return Diagnosis(
                .certificateRefused, "\(whose) was refused: \(check.text) (error \(check.code)).",
                remedy: failure.remedy)
        }
    }

    /// Certificates are issued to be valid at once: a certificate that is not yet valid indicates a wrong clock.
    private static func notYetValid(_ whose: String, _ certificate: MQTTTLSCertificate?, now: Date) -> Diagnosis {
        guard let begin = certificate?.notBefore, begin.timeIntervalSince(now) < clockLimit else {
            return Diagnosis(
                .certificateNotYetValid, "\(whose) is not valid yet.",
                likely: certificate.map { ["it is valid from \(TimeText.moment($0.notBefore))"] } ?? [],
                remedy: "Check the date of this machine, then the certificate.")
        }
        let length = TimeText.length(begin.timeIntervalSince(now))
        return Diagnosis(
            .clock,
            "\(whose) becomes valid only in \(length): the clock of this machine is behind by as much, or more.",
            likely: [
                "here it is \(TimeText.moment(now))", "the certificate is valid from \(TimeText.moment(begin))",
                "or the clock of who issued the certificate was ahead",
            ],
            remedy: "Set the clock of this machine, and keep it with NTP (`timedatectl`).")
    }

    private static func expired(_ whose: String, _ certificate: MQTTTLSCertificate?, now: Date) -> Diagnosis {
        guard let end = certificate?.notAfter else {
            return Diagnosis(.certificateExpired, "\(whose) has expired.", remedy: "Renew it.")
        }
        var likely = ["it was valid until \(TimeText.moment(end))"]
        if now.timeIntervalSince(end) < clockLimit {
            likely.append("or the clock of this machine is ahead: here it is \(TimeText.moment(now))")
        }
        return Diagnosis(
            .certificateExpired, "\(whose) has expired \(TimeText.relative(end, to: now)).", likely: likely,
            remedy: "Renew the broker's certificate, and let the broker load it.")
    }

    /// Beyond a day, a wrong clock is not the likeliest cause.
    private static let clockLimit = 86_400.0

    /// Returns the first clause of an error that names the protocol of the peer; `nil` for other errors.
    static func foreign(_ error: MQTTError) -> String? {
        guard error.message.contains(" at this port speaks ") else { return nil }
        return sentence(String(error.message.prefix { $0 != ";" }))
    }

    /// Adds an initial capital and a full stop.
    static func sentence(_ text: String) -> String {
        let text = text.prefix(1).uppercased() + text.dropFirst()
        return text.last.map { ".!?".contains($0) } == true ? text : text + "."
    }
}
