//! The name and the port that the card gives to the wizard.

use syncferry_shared::Finding;

use crate::plan::PlanInput;

/// The first label of a name.
fn label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The card should name the machine itself.
pub(super) fn is_the_machines_own(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    let Some(name) = t.connect_host.as_deref() else { return };
    let own = t.machine_name.eq_ignore_ascii_case(label(name)) || t.machine_name.is_empty();
    if !own {
        out.push(
            Finding::warning("target-name-is-an-alias", format!("{name} is not the name of the machine that answers there"))
                .saw(format!("connect_host of {} in its agent's configuration", t.name), name)
                .saw("SERVERPROPERTY('MachineName')", &t.machine_name)
                .next("Set connect_host in the agent's configuration to the machine's own name and plan again. For a failover cluster or a listener it is right as it stands: accept it, and look at the card."),
        );
    }
}

/// A named instance without a known port is found through SQL Browser only.
pub(super) fn port_is_known(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    if let (Some(instance), None) = (&t.instance_name, t.connect_port) {
        out.push(
            Finding::warning("instance-port-unknown", format!("The port of the instance {instance} is not known"))
                .saw(format!("connect_port of {} in its agent's configuration", t.name), "not set")
                .saw("what the card would say", instance)
                .next("Give the instance a static TCP port, write it as connect_port into the agent's configuration, restart the agent and plan again. Or make sure that SQL Browser runs and UDP 1434 is open from the new server, and accept this."),
        );
    }
}
