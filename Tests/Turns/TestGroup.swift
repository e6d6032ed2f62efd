// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Tests that may run at the same time. The groups of one process take turns, in this order.
///
/// The tests of one process share the few threads of Swift's pool, and some of them compute or block for seconds, load
/// the machine, or count its descriptors. A test that waits for a network's answer gets it in time only without those
/// beside it.
public enum TestGroup: Int, Sendable {
    /// Values and state machines.
    case units
    /// Tests in processes of their own, which nothing else in this one may slow down.
    case leaks
    /// Clients and scripted brokers.
    case scripted
    /// Clients and scripted brokers that keep a processor busy.
    case load
    case simulation
    case tools
    case tokens
    case configuration
    /// The parser of arguments, which a debug build keeps busy for tenths of a second.
    case arguments
    /// The command, whose tests start processes.
    case command
    case sideBySide
    case tls
    /// Real brokers.
    case brokers

    /// Maximum number of tests of the group at a time, and of cases of its tests.
    var width: Int {
        let cores = ProcessInfo.processInfo.activeProcessorCount
        return switch self {
        // Each test starts processes: so few that each gets its share of a core.
        case .arguments, .command, .sideBySide: 2 * cores
        // Hundreds of tests at once share a core so thinly that none gets its answer in time.
        default: 8 * cores
        }
    }
}
