// SPDX-License-Identifier: Apache-2.0

#if ServiceLifecycle
public import ServiceLifecycle

/// A group is a service of a `ServiceGroup`, which runs it and shuts it down gracefully. Needs the package trait
/// `ServiceLifecycle`, which is on by default.
extension MQTTConsumerGroup: Service {}
#endif
