"""A small robot in URDF, for tests of what is done to documents: an arm of two joints with a claw that closes."""

from __future__ import annotations

ARM = """<?xml version="1.0"?>
<robot name="arm">
  <mujoco><compiler fusestatic="false" discardvisual="false"/></mujoco>
  <material name="grey"><color rgba="0.5 0.5 0.5 1"/></material>
  <link name="base"><visual><geometry><box size="1 1 1"/></geometry><material name="grey"/></visual></link>
  <link name="upper"/>
  <link name="lower"/>
  <link name="cover"/>
  <link name="knob"/>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><origin xyz="0 0 0.3" rpy="0.1 0.2 0.3"/><axis xyz="0 0 2"/>
    <limit lower="-1" upper="2" velocity="3" effort="4"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="lower"/><origin xyz="0.4 0 0" rpy="0 -1.5707963267948966 0.7"/>
    <axis xyz="0 1 0"/><limit lower="0" upper="2.5" velocity="3" effort="4"/>
  </joint>
  <joint name="cover_joint" type="fixed"><parent link="upper"/><child link="cover"/></joint>
  <joint name="knob_joint" type="fixed"><parent link="cover"/><child link="knob"/></joint>
</robot>
"""

CLAW = """<robot name="claw">
  <material name="grey"><color rgba="0.5 0.5 0.5 1"/></material>
  <link name="palm"><visual><geometry><box size="1 1 1"/></geometry><material name="grey"/></visual></link>
  <link name="finger"/>
  <link name="thumb"/>
  <link name="nail"/>
  <joint name="slide" type="prismatic">
    <parent link="palm"/><child link="finger"/><origin xyz="0 0.1 0"/><axis xyz="0.6 0.8 0"/>
    <limit lower="-0.1" upper="0.4" velocity="1" effort="1"/>
  </joint>
  <joint name="swing" type="revolute">
    <parent link="palm"/><child link="thumb"/><origin xyz="0 -0.1 0" rpy="0.5 0 0"/><axis xyz="0 1 0"/>
    <limit lower="-0.5" upper="2" velocity="1" effort="1"/><mimic joint="slide" multiplier="-2" offset="0.3"/>
  </joint>
  <joint name="nail_joint" type="fixed"><parent link="finger"/><child link="nail"/><origin xyz="0 0 0.02"/></joint>
</robot>
"""
