// SPDX-License-Identifier: Apache-2.0

extension MQTTTLSFailure {
    /// The remedy, in one sentence.
    public var remedy: String {
        // No foreign text is part of it.
        isProxy ? brokersRemedy.replacing("broker", with: "proxy") : brokersRemedy
    }

    private var brokersRemedy: String {
        switch kind {
        case .verification: verification?.remedy ?? "Check the broker's certificate."
        case .unauthenticated:
            "Remove anonymous ciphers from `ciphers`, and find out who answers at the broker's address."
        case .alert, .protocolError: alert?.remedy ?? reason.flatMap(Self.remedy(forReason:)) ?? Self.inspect
        case .clientCertificate: clientCertificateRemedy
        case .notPostQuantum:
            "Give the broker TLS 1.3 and a group such as X25519MLKEM768 (OpenSSL 3.5), or do not require one."
        case .notTLS where isProxy: "Check the port of the proxy, or use an `http` proxy if it has no TLS."
        case .notTLS:
            "Check the port: 8883 is usual for MQTT over TLS, and 1883 for plain TCP, which needs `tls` to be nil."
        case .tlsRequired: "Configure `tls`, or use the broker's port for plain TCP."
        case .configuration: "Correct the TLS configuration, or the file that the message names."
        }
    }

    /// The remedy as the second part of a message.
    var advice: String { remedy.prefix(1).lowercased() + remedy.dropFirst().dropLast() }

    private static let inspect =
        "See what the broker offers with `openssl s_client -connect HOST:PORT`, and read its log."

    private var clientCertificateRemedy: String {
        switch alert?.code {
        case 116, 40, nil: "Configure `tls.identity` with a certificate of an authority that the broker trusts."
        case 44: "Use another client certificate: the broker's revocation list has this one."
        case 45: "Renew the client certificate: it has expired."
        case 48: "Use a client certificate of an authority that the broker trusts, and send its intermediates with it."
        default:
            "Check that the broker accepts this client certificate: its authority, validity and extended key usage."
        }
    }

    /// Returns the remedy for an OpenSSL reason that a user can act on.
    private static func remedy(forReason reason: String) -> String? {
        switch reason {
        case "unsupported protocol", "wrong ssl version", "no protocols available":
            "Change `minimumVersion` or `maximumVersion`, or the broker's versions: there is none that both sides have."
        case "dh key too small", "ee key too small", "ca key too small", "ca md too weak", "wrong signature type":
            "Give the broker a stronger key and certificate: OpenSSL's security level refuses these."
        case "packet length too long", "decryption failed or bad record mac", "bad record mac", "unexpected record":
            "Look for what changes the bytes on their way: a proxy, a middlebox, or faulty hardware."
        case "unexpected eof while reading":
            "Read the broker's log: it closed the connection in the middle of TLS."
        default: nil
        }
    }
}

extension MQTTTLSFailure.Verification {
    var remedy: String {
        switch code {
        case 9: "Set the clock of this machine, or wait for the certificate's validity to begin."
        case 10: "Renew the broker's certificate, unless the clock of this machine is wrong."
        case 18: "Trust the broker's self-signed certificate with `trust`, or give the broker one of an authority."
        case 19: "Add the root certificate of the broker's chain to `trust`."
        case 2, 20, 21:
            "Add the authority that issued the certificate to `trust` (a directory also needs `openssl rehash`), "
                + "or let the broker send its intermediate certificates."
        case 23: "Replace the certificate: its authority has revoked it."
        case 3: "Add the revocation list of the certificate's issuer to `revocation`."
        case 12: "Fetch a newer revocation list: this one has expired."
        case 62 where certificate?.subjectAlternativeNames.isEmpty == true:
            "Give the broker a certificate with a subjectAltName; the common name counts only with `acceptsCommonName`."
        case 62, 63, 64:
            "Connect with a name that the certificate is for, or set `serverName` to one."
        case 66, 67, 68: "Give the broker a stronger key and certificate: OpenSSL's security level refuses these."
        case 73: "Let the broker staple an OCSP response, or do not require one."
        case 74, 75: "Let the broker fetch a newer OCSP response from the certificate's authority."
        case 50: "Compare the broker's public key with `pins`, or see what your own check wants."
        case 26: "Give the broker a certificate whose extended key usage allows TLS servers."
        default: "Check the certificate with `openssl verify`."
        }
    }
}

extension MQTTTLSFailure.Alert {
    fileprivate var remedy: String? {
        switch code {
        case 40, 71:
            "Offer a cipher suite, group or signature algorithm that the broker has: see `ciphers`, `cipherSuites`, `groups`."
        case 70:
            "Change `minimumVersion` or `maximumVersion`, or the broker's versions: there is none that both sides have."
        case 112: "Use a host name that the broker knows, or set `serverNameIndication`."
        case 115: "Check the identity of the pre-shared key: the broker does not know it."
        case 20, 51:
            "Check that both sides have the same key; if they do, something between them changes what is sent."
        case 47: "Check that both sides have the same pre-shared key, if there is one; else read the broker's log."
        case 120: "Offer an application protocol that the broker has: see `applicationProtocols`."
        default: nil
        }
    }
}
