// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension Diagnosis {
    /// Diagnoses a failure of the proxy, or of the connection to the broker that the proxy makes.
    static func proxy(_ error: MQTTError, _ facts: ProxyFacts) -> Diagnosis {
        if let failure = error.tls { return proxyTLS(error, failure) }
        let said = sentence(error.message)
        let sees = "Where the proxy runs, check that it can connect to the broker's host and port."
        switch error.httpStatus {
        case 407?, 401?:
            return Diagnosis(
                .proxyAuthentication, said,
                likely: ["a wrong user name or password", "a proxy that takes another scheme than Basic"],
                remedy: "Give the proxy's user name and password in --proxy http://username:password@host:port.")
        case 403?:
            return Diagnosis(
                .proxyForbids, said,
                likely: ["rules that allow CONNECT to port 443 only", "a broker that is not on the proxy's list"],
                remedy: "Ask the proxy's operator to allow CONNECT to the broker's host and port.")
        case 500?, 502?, 503?, 504?:
            return Diagnosis(
                .proxyFails, said,
                likely: [
                    "a broker that does not run", "a name that the proxy cannot resolve", "a firewall behind the proxy",
                ],
                remedy: sees)
        case .some:
            return Diagnosis(
                .notProxy, said, likely: ["a web server's port", "a captive portal, or a login page"],
                remedy: "Check host and port of --proxy.")
        case nil:
            let isForeign = error.message.hasPrefix("it is no")
            return Diagnosis(
                isForeign ? .notProxy : .proxyFails, said,
                remedy: isForeign ? "Check scheme, host and port of --proxy." : sees)
        }
    }

    /// Diagnoses a failure of the TLS session with a proxy.
    private static func proxyTLS(_ error: MQTTError, _ failure: MQTTTLSFailure) -> Diagnosis {
        let said = sentence(failure.description)
        switch failure.kind {
        case .verification where [2, 18, 19, 20, 21].contains(failure.verification?.code):
            return Diagnosis(
                .proxyCertificate, said, likely: ["an authority of one's own that this machine does not trust"],
                remedy: "Give the proxy's authority with --proxy-cafile.")
        case .verification, .unauthenticated: return Diagnosis(.proxyCertificate, said, remedy: failure.remedy)
        case .notTLS:
            return Diagnosis(
                .notProxy, sentence(String(error.message.prefix { $0 != ";" })),
                likely: ["a proxy without TLS", "another program's port"],
                remedy: "Check scheme, host and port of --proxy.")
        case .configuration:
            return Diagnosis(
                .tlsConfiguration, sentence(error.message), remedy: "Correct the file that the message names.")
        default: return Diagnosis(.proxyFails, said, remedy: failure.remedy)
        }
    }
}
