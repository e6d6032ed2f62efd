// SPDX-License-Identifier: Apache-2.0

import Logging

extension Logger {
    /// A logger for clients whose failures are the measurement.
    static var criticalOnly: Logger {
        var logger = Logger(label: "soak")
        logger.logLevel = .critical
        return logger
    }
}
