// SPDX-License-Identifier: Apache-2.0

extension Diagnosis {
    /// The name has no address.
    static func names(_ facts: NameFacts, error: String, isProxy: Bool = false) -> Diagnosis {
        if isProxy {
            return Diagnosis(
                .nameNotFound, "The proxy's host \(facts.host) has no address: \(error).",
                likely: ["a spelling mistake in --proxy", "a name that only another network's DNS knows"],
                remedy: "Check the name with `getent hosts \(facts.host)`, and give the one of the proxy with --proxy.")
        }
        return Diagnosis(
            .nameNotFound, "The host \(facts.host) has no address: \(error).",
            likely: [
                "a spelling mistake in -h", "a name that only a VPN or another network's DNS knows", "no DNS here",
            ],
            remedy: "Check the name with `getent hosts \(facts.host)`, and give the one of the broker with -h.")
    }

    static func slowNames(_ host: String, limit: Duration) -> Diagnosis {
        Diagnosis(
            .noAnswer, "The look-up of \(host) had no answer within \(TimeText.length(limit.inSeconds)).",
            likely: ["a name server that cannot be reached"],
            remedy: "Check the name servers of this machine (/etc/resolv.conf), or raise --connect-timeout.")
    }

    /// `nil` if every address has connected.
    static func tcp(_ facts: ConnectFacts, isTLS: Bool, isProxy: Bool = false) -> Diagnosis? {
        let failures = facts.addresses.compactMap(\.failure)
        guard let first = failures.first else { return nil }
        if failures.count < facts.addresses.count {
            return Diagnosis(
                .someAddressesFail,
                "\(failures.count) of \(facts.addresses.count) addresses fail to connect; the client uses another.",
                likely: ["an address in DNS at which the broker does not listen", "IPv6 that has no route from here"],
                remedy: "Take these addresses out of DNS, or let the broker listen at them.")
        }
        // An address that refused was at least reached, which is stronger evidence than silence.
        switch failures.contains(.refused) ? .refused : first {
        case .refused where isProxy:
            return Diagnosis(
                .refused, "The proxy's host is there, and nothing listens at port \(facts.port).",
                likely: ["the wrong port in --proxy", "a proxy that does not run"],
                remedy: "Check the port of --proxy, then whether the proxy runs and listens there.")
        case .refused: return refused(facts.port, isTLS)
        case .timeout:
            return Diagnosis(
                .noAnswer, "Nothing answers at port \(facts.port), not even to refuse.",
                likely: [
                    "a firewall or security group that drops the packets", "a host that is down",
                    "a broker that accepts no more connections",
                ],
                remedy:
                    "Open port \(facts.port) for this machine, and check that the host and the port are the broker's.")
        case .unreachable:
            return Diagnosis(
                .unreachable, "There is no route from here to the broker.",
                likely: ["no network, or a VPN that is not up"],
                remedy: "Check the network of this machine, and its VPN if the broker is behind one.")
        case .system:
            return Diagnosis(
                .noSocket, "This machine cannot connect: \(facts.addresses[0].error ?? "unknown error").",
                remedy: "Correct what the message names; for a Unix socket check its path and permissions.")
        }
    }

    private static func refused(_ port: Int, _ isTLS: Bool) -> Diagnosis {
        let usual = isTLS ? 8_883 : 1_883
        return Diagnosis(
            .refused, "The host is there, and nothing listens at port \(port).",
            likely: port == usual
                ? ["a broker that does not run", "a broker that listens at another port or address only"]
                : [
                    "the wrong port: \(usual) is usual for MQTT \(isTLS ? "over TLS" : "without TLS")",
                    "a broker that does not run",
                ],
            remedy: port == usual
                ? "Start the broker, and check the listener in its configuration."
                : "Check -p, then whether the broker runs and listens there.")
    }
}
