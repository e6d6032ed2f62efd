// SPDX-License-Identifier: Apache-2.0

/// The failure of a helper of MosquittoTesting.
public enum MosquittoTestingError: Error, Sendable, Equatable {
    /// The text is neither an IPv4 nor an IPv6 address.
    case invalidAddress(String)

    /// A system call failed: its name, and `errno`.
    case systemCall(String, errno: Int32)

    /// No `mosquitto` executable was found in these folders.
    case mosquittoNotInstalled(searched: [String])

    /// `mosquitto` exited, or did not accept connections before the deadline; with its log.
    case mosquittoDidNotStart(log: String)

    /// The broker's listener was closed while it started.
    case listenerClosed
}

extension MosquittoTestingError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidAddress(let address):
            "\"\(address)\" is neither an IPv4 nor an IPv6 address"
        case .systemCall(let name, let errno):
            "\(name) failed with errno \(errno)"
        case .mosquittoNotInstalled(let folders):
            "no mosquitto executable in \(folders.joined(separator: ", ")); "
                + "install it (apt-get install mosquitto, brew install mosquitto)"
        case .mosquittoDidNotStart(let log):
            "mosquitto did not start; its log: \(log)"
        case .listenerClosed:
            "the scripted broker's listener was closed while it started"
        }
    }
}
