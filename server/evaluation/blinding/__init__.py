"""The proxy between one robot and policies that it cannot tell apart.

What a robot, or whoever watches its line, gets is the same whoever drives: one address, one greeting, answers of one
field and one length, each at a fixed time after its request, errors as one code, a connection that no policy's death
ends. What goes to policies is the same too: every camera, the joints, and whatever else the robot sends.

What remains:

- the motion itself, and with it all that follows from how a policy decides;
- without `equalized_ticks`, when motion begins: slower policies take effect later;
- with them, chunks that are missed: a policy that is too slow for D holds now and then, and policies whose chunks are
  shorter than 2 D are refused;
- on a machine whose cores are all taken, a policy that computes on the same ones makes answers a little less punctual.
  Policies' processes are less urgent than the proxy (`ProxyOptions.nice`), each in a session of its own, and the thread
  that answers robots runs under SCHED_FIFO where that is permitted (`punctual`); without `equalized_ticks` it could
  still be measured on a quiet machine. A policy on another machine, or cores to spare, should leave nothing of it;
- `policy lost` itself, which is told to the operator and not to the robot: it says that this trial's policy failed.

A stop (`Proxy.hold`) takes effect after the rows that the robot is bound to, at most H ticks, and brakes within the
limits. It is software between a person and a motor, and no substitute for the hardware's emergency stop.
"""
